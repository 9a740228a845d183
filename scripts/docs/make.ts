// Writes the parts of docs/ that follow from registries: npm run docs
import { readFileSync, writeFileSync } from 'node:fs'
import { describeFakeQuantizers } from '@fewbit/core/fake-quantizers'
import { TARGETS } from '@fewbit/core/targets'
import { accuracyTable } from './accuracy.ts'
import { exactnessTables } from './exactness.ts'
import { qatTables } from './qat.ts'
import {
  algorithmTable,
  arithmeticTable,
  fakeQuantizerFacts,
  fakeQuantizerTable,
  observerTable,
  operatorsPage,
  passTable,
  withTable,
  zooTable,
} from './tables.ts'
import { targetRules, targetsIndex } from './targets.ts'

writeFileSync('docs/operators.md', operatorsPage())

const rewrite = (path: string, text: string): void => writeFileSync(path, withTable(readFileSync(path, 'utf8'), text))
rewrite('docs/passes.md', passTable())
rewrite('docs/observers.md', observerTable())
rewrite('docs/algorithms.md', algorithmTable())
rewrite('docs/zoo.md', zooTable())
rewrite('docs/fake-quantizers.md', fakeQuantizerTable())
for (const info of describeFakeQuantizers()) rewrite(`docs/fake-quantizers/${info.name}.md`, fakeQuantizerFacts(info))
rewrite('docs/integer.md', arithmeticTable())
rewrite('docs/exactness.md', exactnessTables())
rewrite('docs/qat-benchmark.md', qatTables())
rewrite('docs/targets.md', targetsIndex())
rewrite('docs/targets/accuracy.md', accuracyTable())
for (const target of Object.values(TARGETS)) rewrite(target.source, targetRules(target))
