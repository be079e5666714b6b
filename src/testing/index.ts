/** What tests of agents need: `perdure/testing`. */
export { recorded, type PlayerOptions, type RecordedModel } from '../activities/recorded/player.ts';
export { scripted, type Script, type ScriptedModel, type ScriptedReply } from '../activities/model/scripted-model.ts';
export type { ReplayedHistory } from '../cli/replay/replay-histories.ts';
export { checkToolContracts, type ContractProblem } from './check-tool-contracts.ts';
export { mochaGlobalSetup } from './mocha-global-setup.ts';
export { replayHistories } from './replay-histories.ts';
export { startTestPlatform, type TestPlatform, type TestPlatformSetup } from './start-test-platform.ts';
export { untilAsked } from './until-asked.ts';
