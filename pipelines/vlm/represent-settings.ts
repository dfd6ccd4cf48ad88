import { z } from 'zod';
import { BackoffMs, Url, VariableName } from '../episodes/server-settings.js';

export const Represent = z.object({
  backend: z
    .enum(['pocket', 'vllm', 'onnx'])
    .default('pocket')
    .describe(
      'what runs the VLM: critiq itself (the pocket VLM), a vLLM pooling server (`represent.url`), or ONNX Runtime on a local export; see docs/vlm.md',
    ),
  position: z
    .enum(['answer', 'prompt'])
    .default('answer')
    .describe(
      'the token whose last hidden state is the representation: that of the Yes/No answer, as in Digi-Q, or the last one of the prompt, from which an answer is said. Not for the pocket VLM',
    ),
  answer: z
    .enum(['yes', 'no', 'generated'])
    .default('yes')
    .describe(
      "the answer at position `answer`. `yes` puts the same word into the model's mouth every time, so that representations differ by what is seen only, in one call each; `generated` asks `represent.chat_url` first, as Digi-Q does. Not for the pocket VLM",
    ),
  state: z.boolean().default(false).describe('represent each state alone as well, for `critic.state_rep`'),
  url: Url.default('http://127.0.0.1:8000').describe('the vLLM pooling server'),
  chat_url: z
    .union([Url, z.literal('')])
    .default('')
    .describe('a vLLM server that generates with the same model, for `represent.answer=generated`'),
  concurrency: z.int().min(1).max(1024).default(32).describe('requests to the server at the same time'),
  timeout_ms: z.int().min(1).max(300_000).default(120_000).describe('milliseconds that a request may take'),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(10)
    .describe('times that a request is sent again where the server fails or answers wrongly, before the stage fails'),
  backoff_ms: BackoffMs,
  api_key_env: VariableName.default('VLLM_API_KEY').describe(
    "name of the environment variable that holds the server's key, if it wants one; the key itself is no setting",
  ),
});
export type Represent = z.infer<typeof Represent>;
