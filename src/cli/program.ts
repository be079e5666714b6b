import { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import type { Cli } from './cli.ts';
import { addGroup, type CommandContext } from './command.ts';
import { addAgentLs } from './commands/agent-ls.ts';
import { addAgentNew } from './commands/agent-new.ts';
import { addAgentShow } from './commands/agent-show.ts';
import { addApproveDecide } from './commands/approve-decide.ts';
import { addApproveLs } from './commands/approve-ls.ts';
import { addBudget } from './commands/budget.ts';
import { addChat } from './commands/chat.ts';
import { addCompletion } from './commands/completion.ts';
import { addDev } from './commands/dev.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEffectLs } from './commands/effect-ls.ts';
import { addEffectResolve } from './commands/effect-resolve.ts';
import { addLimits } from './commands/limits.ts';
import { addModels } from './commands/models.ts';
import { addReplay } from './commands/replay.ts';
import { addRunLs } from './commands/run-ls.ts';
import { addRunMessages } from './commands/run-messages.ts';
import { addRunRecord } from './commands/run-record.ts';
import { addRunRetry } from './commands/run-retry.ts';
import { addRunShow } from './commands/run-show.ts';
import { addRunStart } from './commands/run-start.ts';
import { addRunTail } from './commands/run-tail.ts';
import { addToolComplete } from './commands/tool-complete.ts';
import { addToolLs } from './commands/tool-ls.ts';
import { addSchedule } from './commands/schedule.ts';
import { respell } from './spell-command.ts';

/** Builds the command line. Commands set `ending.exitCode` when they end with another code than 0. */
export function createProgram(cli: Cli, ending: { exitCode: number }): Command {
  const context: CommandContext = { cli, ending };
  const program = new Command('perdure')
    .description('Runs AI agents in production on Temporal.')
    .version(packageJson.version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => cli.print(respell(text.trimEnd(), cli.env)),
      writeErr: (text) => cli.say(respell(text.trimEnd(), cli.env)),
    })
    .addHelpText(
      'after',
      '\nExamples:\n  $ perdure dev\n  $ perdure run start support "Where is my order A-1090? I am Liam Murphy." --follow',
    );
  addDev(program, context);
  addDoctor(program, context);
  const agent = addGroup(program, {
    name: 'agent',
    summary: 'see the agents of ./agents, and make one',
    examples: ['perdure agent ls', 'perdure agent show support', 'perdure agent new notes'],
  });
  addAgentLs(agent, context);
  addAgentShow(agent, context);
  addAgentNew(agent, context);
  addChat(program, context);
  const run = addGroup(program, {
    name: 'run',
    summary: 'start runs, look at them, talk to them',
    examples: ['perdure run ls', 'perdure run show 0aB1cD2eF3gH4iJ5kL6mN7'],
  });
  addRunStart(run, context);
  addRunShow(run, context);
  addRunLs(run, context);
  addRunTail(run, context);
  addRunMessages(run, context);
  addRunRetry(run, context);
  addRunRecord(run, context);
  const approve = addGroup(program, {
    name: 'approve',
    summary: 'see what waits for a person, and decide',
    examples: ['perdure approve ls', 'perdure approve decide 0aB1cD2eF3gH4iJ5kL6mN7 --approve'],
  });
  addApproveLs(approve, context);
  addApproveDecide(approve, context);
  const tool = addGroup(program, {
    name: 'tool',
    summary: 'see which tool calls wait for a result from outside, and give it',
    examples: ['perdure tool ls', `perdure tool complete TOKEN --output '{"priceUsd":120}'`],
  });
  addToolLs(tool, context);
  addToolComplete(tool, context);
  const effect = addGroup(program, {
    name: 'effect',
    summary: 'see what runs have changed outside, and settle what nobody knows',
    examples: ['perdure effect ls --state unknown'],
  });
  addEffectLs(effect, context);
  addEffectResolve(effect, context);
  addBudget(program, context);
  addLimits(program, context);
  addModels(program, context);
  addSchedule(program, context);
  addReplay(program, context);
  addCompletion(program, context);
  return program;
}
