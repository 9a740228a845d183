import { mkdirSync, writeFileSync } from 'node:fs'
import { writeCoreBundle } from './core-bundle.ts'
import { enginePage } from './engine-page.ts'
import { reportPage } from './report-page.ts'

mkdirSync('packages/report/dist', { recursive: true })
writeFileSync('packages/report/dist/page.js', await reportPage())
mkdirSync('packages/engine-web/dist', { recursive: true })
writeFileSync('packages/engine-web/dist/page.js', await enginePage())
await writeCoreBundle()
