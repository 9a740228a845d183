export { renderCertificate } from './render-certificate.ts'
export { renderReport } from './render-report.ts'
