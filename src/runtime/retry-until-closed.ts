import { type ConnectionOptions, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
type Call = ReturnType<Interceptor>;

/** gRPC's status for what the caller no longer wants. */
const CANCELLED = 1;

/** What a call tells its end to, as far as we need it. */
type Listener = { readonly onReceiveStatus?: (status: object) => void };

const ignore = (): void => undefined;

/**
 * Retries calls as the SDK does, and ends what still waits to be tried again when the connection closes. The SDK's own interceptor starts such a
 * call from a timer, where the closed channel throws past everybody and ends the process.
 */
export function retryUntilClosed(): Interceptor {
  const retry = makeGrpcRetryInterceptor(defaultGrpcRetryOptions());
  return (options, nextCall) =>
    retry(options, (each) => {
      try {
        return nextCall(each);
      } catch (error) {
        return endedCall((error as Error).message);
      }
    });
}

/** Makes a call that ends as soon as it is started. */
function endedCall(details: string): Call {
  const call = {
    start: (metadata: unknown, listener?: Listener) =>
      listener?.onReceiveStatus?.({ code: CANCELLED, details, metadata }),
    sendMessage: ignore,
    sendMessageWithContext: ignore,
    startRead: ignore,
    halfClose: ignore,
    cancelWithStatus: ignore,
    getPeer: (): string => '',
    getAuthContext: (): null => null,
  };
  return call as unknown as Call;
}
