// Goal: a fact of turn 5 is answered at turn 900 of a run whose model has a context of 32,000 tokens, and no turn costs more for it.
// Method: the conversation of `test/workflow/compaction.test.ts`, at its full length. It takes some minutes.
import { describeLongConversation } from '../support/workflow/long-conversation.ts';

describeLongConversation(900);
