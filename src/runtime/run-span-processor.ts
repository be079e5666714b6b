import type { Context } from '@opentelemetry/api';
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { STARTED_UNTRACED } from '../domain/run/trace-ids.ts';

/** Attributes of an exception that repeat what was said. Its type stays. */
const WORDS = ['exception.message', 'exception.stacktrace'];

/**
 * Looks at every span before it is sent. Takes the words of errors out: a tool's or a provider's may repeat what it was asked. Drops the spans of
 * runs that an untraced client started and that this process's sampler does not take, because nobody else was asked about them.
 */
export class RunSpanProcessor implements SpanProcessor {
  readonly #next: SpanProcessor;
  readonly #isSampledHere: (traceId: string) => boolean;

  constructor(next: SpanProcessor, isSampledHere: (traceId: string) => boolean) {
    this.#next = next;
    this.#isSampledHere = isSampledHere;
  }

  onStart(span: Span, parent: Context): void {
    this.#next.onStart(span, parent);
  }

  onEnd(span: ReadableSpan): void {
    const { traceId, traceState } = span.spanContext();
    if (traceState?.get(STARTED_UNTRACED.key) !== undefined && !this.#isSampledHere(traceId)) return;
    for (const { attributes } of span.events) for (const word of WORDS) delete attributes?.[word];
    delete (span.status as { message?: string }).message;
    this.#next.onEnd(span);
  }

  async forceFlush(): Promise<void> {
    await this.#next.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#next.shutdown();
  }
}
