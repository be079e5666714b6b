/**
 * A tool says no: the request is wrong or the rules of its domain forbid it, and nothing was changed.
 * The model reads the message. Not for an outcome that is not known: let the error of the request through instead.
 */
export class ToolRefusal extends Error {
  override readonly name = 'ToolRefusal';
}

/**
 * The tool's service cannot be reached and the request was certainly not sent: a refused connection, a missing secret.
 * The run waits or tells the model, as the tool asks. Not for a timeout after the request went out.
 */
export class ToolUnreachable extends Error {
  override readonly name = 'ToolUnreachable';
}
