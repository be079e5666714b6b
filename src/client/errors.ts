/** What a caller sent cannot be used. The message says what was expected, what came and what to do. Nothing was sent. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
}

/** There is no run with this id: it was never started, or both Temporal and the database have forgotten it. */
export class RunNotFound extends Error {
  override readonly name = 'RunNotFound';

  constructor(agentRunId: string, where: string) {
    super(`there is no run ${agentRunId} in ${where}; look at the id, the namespace and the tenant`);
  }
}

/** The run refused a message, or has ended. Nothing has changed. */
export class MessageRejected extends Error {
  override readonly name = 'MessageRejected';
}

/** No worker of the run's queue answered a question in time. Messages do not need one, questions do. */
export class NoWorkerAnswered extends Error {
  override readonly name = 'NoWorkerAnswered';
}

/** The execution was terminated or broke, so it has no end. Only operators and bugs do that; cancelling and failing are ends. */
export class RunWithoutEnd extends Error {
  override readonly name = 'RunWithoutEnd';
}

/** What was asked needs a `RunReader`, and the client has none. */
export class ReaderMissing extends Error {
  override readonly name = 'ReaderMissing';

  constructor(what: string) {
    super(`${what} needs a reader: pass { reader } to createClient or connect`);
  }
}
