/**
 * How a provider speaks: the shape of its requests, replies and usage. Several providers share one; what differs within a wire is
 * told by the provider's name.
 */
export type Wire = 'openai-chat' | 'openai-responses' | 'anthropic' | 'google' | 'mistral' | 'bedrock' | 'simulated';
