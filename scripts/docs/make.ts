// Writes the parts of docs/ that follow from registries: npm run docs
import { readFileSync, writeFileSync } from 'node:fs'
import { operatorsPage, passTable, withTable } from './tables.ts'

writeFileSync('docs/operators.md', operatorsPage())
writeFileSync('docs/passes.md', withTable(readFileSync('docs/passes.md', 'utf8'), passTable()))
