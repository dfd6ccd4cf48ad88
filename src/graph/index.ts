/**
 * Tensors, operations with their gradients, optimizers, and what runs them on ONNX Runtime.
 *
 * @module critiq/graph
 */
export { allocate, constant, fromNumbers, input, scalar, shapeText, sizeOf } from './tensor.js';
export type { DType, Operand, Tensor, TypedArray } from './tensor.js';
export * from './ops/activation.js';
export { cast, expand, reshape, sum, sumTo } from './ops/broadcast.js';
export * from './ops/conv.js';
export * from './ops/elementwise.js';
export * from './ops/matrix.js';
export * from './ops/reduce.js';
export * from './ops/scan.js';
export * from './ops/select.js';
export * from './ops/shape.js';
export { grad } from './grad.js';
export { defineComposite, defineOp, opNames, ruleOf } from './rule.js';
export { toOnnx } from './onnx.js';
export type { OnnxModel, Spec } from './onnx.js';
export { openRuntime } from './ort/open.js';
export type { Binding, Runtime, Session } from './runtime.js';
export type { RuntimeOptions } from './ort/open.js';
export { discard, snapshot, writable } from './residence.js';
export { Parameters, polyak } from './parameters.js';
export type { Initializer, Parameter, ParameterSpec } from './parameters.js';
export {
  adamW,
  addDecayedWeights,
  chain,
  clipByGlobalNorm,
  clippedAdamW,
  scaleByAdam,
  scaleByLearningRate,
} from './optimizer.js';
export type { Optimizer, Plan, Transform, Update } from './optimizer.js';
export { Forward } from './forward.js';
export { Trainer } from './trainer.js';
export type { TrainerOptions } from './trainer.js';
