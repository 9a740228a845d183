export type { Certificate, CertifiedModel, EngineOutcome, Outcome } from './certificate.ts'
export { type VerifiedEngine, type VerifyOptions, verify } from './verify.ts'
