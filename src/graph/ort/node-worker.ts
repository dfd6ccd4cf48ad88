import { parentPort } from 'node:worker_threads';
import ort from 'onnxruntime-node';
import type { Reply, Request, SharedArray } from './node.js';
import { SESSION_CONFIG } from '../runtime.js';
import { STORAGE, TypedArray, sizeOf } from '../tensor.js';

/**
 * The thread that runs onnxruntime-node for `NodeRuntime`. The addon does not accept arrays in shared memory, so each
 * binding has its own arrays here, and every run copies from and to the shared ones. Requests are served in order.
 */

interface Bound {
  readonly session: ort.InferenceSession;
  readonly inputs: readonly SharedArray[];
  readonly outputs: readonly SharedArray[];
  readonly local: readonly TypedArray[];
  readonly feeds: Record<string, ort.Tensor>;
}

const sessions = new Map<number, ort.InferenceSession>();
const bindings = new Map<number, Bound>();

function bind(session: ort.InferenceSession, inputs: SharedArray[], outputs: SharedArray[]): Bound {
  const local = inputs.map(({ dtype, shape }) => new STORAGE[dtype].array(sizeOf(shape)) as TypedArray);
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, shape }, i) => [
      name,
      new ort.Tensor(dtype as 'float32', local[i] as Float32Array, shape),
    ]),
  );
  return { session, inputs, outputs, local, feeds };
}

async function run({ session, inputs, outputs, local, feeds }: Bound): Promise<void> {
  inputs.forEach(({ data }, i) => (local[i] as Float32Array).set(data as Float32Array));
  const results = await session.run(feeds);
  for (const { name, data } of outputs) {
    (data as Float32Array).set(results[name].data as Float32Array);
    results[name].dispose();
  }
}

async function serve(request: Request): Promise<void> {
  switch (request.kind) {
    case 'session':
      sessions.set(
        request.session,
        await ort.InferenceSession.create(request.bytes, {
          intraOpNumThreads: request.threads,
          graphOptimizationLevel: 'all',
          logSeverityLevel: 4,
          extra: SESSION_CONFIG,
        }),
      );
      break;
    case 'bind':
      bindings.set(request.binding, bind(sessions.get(request.session)!, request.inputs, request.outputs));
      break;
    case 'run':
      await run(bindings.get(request.binding)!);
      break;
    case 'unbind':
      bindings.delete(request.binding);
      break;
    case 'close':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
  }
}

let queue = Promise.resolve();
parentPort!.on('message', ({ id, request }: { id: number; request: Request }) => {
  queue = queue.then(async () => {
    let reply: Reply = { id };
    try {
      await serve(request);
    } catch (error) {
      reply = { id, error: (error as Error).message };
    }
    parentPort!.postMessage(reply);
  });
});
