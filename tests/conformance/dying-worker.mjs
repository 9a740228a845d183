// A worker whose engine takes the process with it on one way of one case; the rest pass.
process.on('message', ({ name, ways }) => {
  for (const way of ways) {
    process.send({ kind: 'start', way })
    if (name === 'bad' && way === 'load') return process.send({ kind: 'start', way }, () => process.abort())
    process.send({ kind: 'outcome', way, outcome: { status: 'passed' } })
  }
  process.send({ kind: 'end' })
})
process.send({ kind: 'ready' })
