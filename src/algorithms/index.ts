/**
 * The algorithms' settings and losses, as pure functions on graph tensors (docs/algorithms.md).
 *
 * @module critiq/algorithms
 */
export * from './digiq.js';
export * from './digirl.js';
export * from './filteredbc.js';
export * from './coso.js';
export * from './vem.js';
