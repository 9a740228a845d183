export type { Cause, Symptom } from './cause.ts'
export { CAUSES, type CauseName } from './causes/index.ts'
export {
  analysisFindings,
  type Diagnosis,
  type DoctorFinding,
  type DoctorOptions,
  type DoctorResult,
  doctor,
  type Effect,
} from './doctor.ts'
