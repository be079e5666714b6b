import { type Dispatcher, getGlobalDispatcher } from 'undici';

/**
 * Fetches without the limits of its own that `fetch` has: 300 s for the first byte and between any two. How long a call of a model may take is said by
 * whoever makes it. What connects, such as a proxy, stays what the process has.
 */
export const patientFetch: typeof globalThis.fetch = async (input, init) => {
  const dispatcher: unknown = getGlobalDispatcher().compose(withoutLimits);
  // The global `fetch` is looked up at each call, as tracing may replace it after this module was loaded.
  return globalThis.fetch(input, { ...init, dispatcher } as RequestInit);
};

function withoutLimits(dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] {
  return (options, handler) => dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, handler);
}
