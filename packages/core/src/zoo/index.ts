export * from './build.ts'
export * from './describe.ts'
export type { ZooEntry } from './entry.ts'
export { ZOO, type ZooName } from './registry.ts'
