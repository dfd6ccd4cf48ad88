import { z } from 'zod';
import { Url, VLLM_REQUESTS } from '../episodes/server-settings.js';

export const Represent = z.object({
  vlm: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}:)?vlm$/, '`vlm`, or RUN:vlm')
    .default('vlm')
    .meta({ added: true })
    .describe('VLM to use: that of this run, or `RUN:vlm` for that of another run'),
  backend: z
    .enum(['pocket', 'vllm', 'onnx'])
    .default('pocket')
    .describe(
      'what runs the VLM: critiq itself (the pocket VLM), a vLLM pooling server (`represent.url`), or ONNX Runtime with a local export (docs/vlm.md)',
    ),
  position: z
    .enum(['answer', 'prompt'])
    .default('answer')
    .describe(
      'token whose last hidden state is the representation: the Yes/No answer, as in Digi-Q, or the last token of the prompt, from which the answer is generated. Not for the pocket VLM',
    ),
  answer: z
    .enum(['yes', 'no', 'generated'])
    .default('yes')
    .describe(
      'answer at position `answer`: `yes` or `no` appends the same word every time, so that representations differ only by the input and take one call each; `generated` asks `represent.chat_url` first, as Digi-Q does. Not for the pocket VLM',
    ),
  state: z.boolean().default(false).describe('also represent each state alone, for `critic.state_rep`'),
  url: Url.default('http://127.0.0.1:8000').describe('URL of the vLLM pooling server'),
  chat_url: z
    .union([Url, z.literal('')])
    .default('')
    .describe('URL of a vLLM server that generates with the same model, for `represent.answer=generated`'),
  ...VLLM_REQUESTS,
});
export type Represent = z.infer<typeof Represent>;
