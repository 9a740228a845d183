export { AUGMENTATIONS, type Augmentation, parseAugmentations } from './augment.ts'
export * from './load.ts'
export * from './training-data.ts'
