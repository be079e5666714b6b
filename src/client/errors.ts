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

/** A webhook cannot be trusted or used. Nothing was started. The message is for logs: tell the sender the status and no more. */
export class WebhookRefused extends Error {
  override readonly name = 'WebhookRefused';
  /** 401 where it is not signed, or too old; 413 where it is too large; 400 for everything else. */
  readonly status: 400 | 401 | 413;

  constructor(status: 400 | 401 | 413, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** There is no schedule of this id. */
export class ScheduleNotFound extends Error {
  override readonly name = 'ScheduleNotFound';

  constructor(id: string, tenant: string) {
    super(`there is no schedule ${id} of tenant ${tenant}; perdure schedule ls lists them`);
  }
}

/** The id of a schedule is taken. Nothing has changed. */
export class ScheduleExists extends Error {
  override readonly name = 'ScheduleExists';

  constructor(id: string, tenant: string, options?: ErrorOptions) {
    super(`tenant ${tenant} has a schedule ${id} already; delete it first, or choose another id`, options);
  }
}

/** A message has attachments, and the client has nowhere to keep them: a Temporal connection alone takes none. Nothing was sent. */
export class AttachmentsMissing extends Error {
  override readonly name = 'AttachmentsMissing';

  constructor() {
    super(
      'attachments need a writer: pass { attachments } to createClient or connect; files never go through Temporal',
    );
  }
}

/** What was asked needs a `RunReader`, and the client has none. */
export class ReaderMissing extends Error {
  override readonly name = 'ReaderMissing';

  constructor(what: string) {
    super(`${what} needs a reader: pass { reader } to createClient or connect`);
  }
}
