export { blockConvolutions } from './block-convolutions.ts'
