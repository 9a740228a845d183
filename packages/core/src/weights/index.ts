export { encodeSafetensors, readSafetensors, type Safetensors, writeSafetensors } from './safetensors.ts'
