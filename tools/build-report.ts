import { mkdirSync, writeFileSync } from 'node:fs'
import { reportPage } from './report-page.ts'

mkdirSync('packages/report/dist', { recursive: true })
writeFileSync('packages/report/dist/page.js', await reportPage())
