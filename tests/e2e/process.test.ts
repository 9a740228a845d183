import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, isBuilt, shell, start } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
const isLinux = process.platform === 'linux'
const has = (program: string): boolean => {
  try {
    execFileSync('which', [program])
    return true
  } catch {
    return false
  }
}

beforeAll(async () => {
  await saveModel(smallCnn(), work.at('small.onnx'))
  work.put('data.npz', npz({ x: floats([16, 3, 8, 8], (i) => Math.sin(i * i)) }))
})

/** Far more samples than a test would wait for. */
const longRun = 'quantize small.onnx --data random --samples 4000000 -o out.onnx'.split(' ')

describe.skipIf(!isBuilt)('the program as a process (needs npm run build)', () => {
  it('prints results to stdout and plain progress lines to stderr', async () => {
    const { code, out, err } = await start(
      ['evaluate', 'small.onnx', '--data', 'data.npz', '--against', 'small.onnx'],
      work.path,
    ).outcome
    expect(code).toBe(0)
    expect(out).toMatch(/^sqnr +exact$/m)
    expect(err).toMatch(/^evaluate: .* m?s, sqnr exact, cosine 1\.0+\n$/m)
  })

  it('exits with 0, 1 and 2 for success, errors and usage', async () => {
    const codes = ['inspect small.onnx', 'inspect nope.onnx', 'inspect --nope', '--help', '--version', ''].map(
      async (args) => (await start(args.split(' ').filter(Boolean), work.path).outcome).code,
    )
    expect(await Promise.all(codes)).toEqual([0, 1, 2, 0, 0, 0])
  })

  it('does not mind a reader that leaves early', async () => {
    // `true` reads nothing and is gone before the first byte.
    const script = 'fewbit inspect small.onnx --json | true; echo "codes $' + '{PIPESTATUS[*]}"'
    expect(await shell(script, work.path)).toEqual({ code: 0, out: 'codes 0 0\n', err: '' })
  })

  it.skipIf(!isLinux)('says so when its output goes to a full disk', async () => {
    const { code, err } = await shell('fewbit inspect small.onnx > /dev/full', work.path)
    expect(code).toBe(1)
    expect(err).toMatch(/^error OUTPUT {2}the result cannot be printed: .*no space/)
  })

  it.skipIf(process.platform === 'win32')(
    'stops on Ctrl-C while it calibrates: 130, no output, nothing left behind',
    async () => {
      const files = work.snapshot()
      const { child, outcome } = start(longRun, work.path)
      let seen = ''
      child.stderr?.on('data', (chunk) => {
        const before = seen
        seen += chunk
        // The stage before calibration has just ended. Once only: a second Ctrl-C would not wait for a clean end.
        const last = /^check data: /m
        if (last.test(seen) && !last.test(before)) setTimeout(() => child.kill('SIGINT'), 300)
      })
      const { code, out, err } = await outcome
      expect(code).toBe(130)
      expect(out).toBe('')
      expect(err).toMatch(/stopped; nothing was written\n$/)
      expect(work.snapshot()).toEqual(files)
    },
  )
})

const isRoot = process.getuid?.() === 0

/** A tiny file system of our own, in a mount name space that ends with the command. */
const canMount = isLinux && isRoot && has('unshare') && mounts()
function mounts(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe.skipIf(!isBuilt)('a disk that does not take the result', () => {
  const quantize = 'fewbit quantize small.onnx --data data.npz -o'

  it.skipIf(!canMount)('is full (needs root and mount name spaces)', async () => {
    work.folder('disk')
    const inside = `mount -t tmpfs -o size=4k tmpfs disk && printf older > disk/out.onnx && { "$@"; code=$?; ls -A disk; cat disk/out.onnx; exit $code; }`
    const command = `unshare -m bash -c '${inside}' _ "${process.execPath}" "${'$'}PROGRAM" quantize small.onnx --data data.npz -o disk/out.onnx`
    const { code, out, err } = await shell(command, work.path)
    expect(code).toBe(1)
    expect(err).toContain('error FILE_DISK_FULL')
    expect(err).toMatch(/^ {2}fix free space/m)
    expect(out).toBe('out.onnx\nolder')
  })

  it.skipIf(isRoot)('is read-only (root may write everywhere)', async () => {
    const { code, err } = await shell(`mkdir locked && chmod 555 locked && ${quantize} locked/out.onnx`, work.path)
    expect(code).toBe(1)
    expect(err).toContain('error FILE_DENIED')
  })
})

const ESC = '\u001b'
const hidden = `${ESC}[?25l`
const shown = `${ESC}[?25h`

describe.skipIf(!isBuilt || !isLinux || !has('script'))('on a terminal (needs script of util-linux)', () => {
  /** Runs a script in a pseudo-terminal and returns what the screen was sent. */
  async function terminal(commands: string): Promise<string> {
    const define = `fewbit() { "${process.execPath}" "$PROGRAM" "$@"; }`
    work.put('run.sh', `stty cols 100 rows 30\n${define}\n${commands}\n`)
    await shell('env -u CI TERM=xterm script -qfec "bash run.sh" screen.txt > /dev/null < /dev/null', work.path)
    return readFileSync(work.at('screen.txt'), 'utf8')
  }

  it('draws bars, then leaves one line for each stage and the result', async () => {
    const screen = await terminal('fewbit quantize small.onnx --data random --samples 1500 -o bars.onnx')
    expect(screen).toMatch(/calibrate {2}█+░* \d+\/1500/)
    for (const stage of ['prepare', 'plan', 'calibrate', 'search', 'write', 'analyze'])
      expect(screen).toMatch(new RegExp(`✔.* ${stage} {2}[\\d.]+ m?s`))
    expect(screen).toContain('wrote bars.onnx')
    expect(screen.lastIndexOf(shown)).toBeGreaterThan(screen.lastIndexOf(hidden))
  })

  it('keeps the bars out of a redirected result', async () => {
    const screen = await terminal('fewbit evaluate small.onnx --data random --against small.onnx --json > result.json')
    expect(screen).toMatch(/✔.* evaluate/)
    expect(JSON.parse(readFileSync(work.at('result.json'), 'utf8'))).toMatchObject({ samples: 32 })
  })

  it('gives the cursor back after Ctrl-C', async () => {
    // The terminal's own interrupt key would do the same: it signals the foreground process.
    const running = `"${process.execPath}" "$PROGRAM" ${longRun.join(' ')} &`
    const drawn = 'until grep -q "calibrate.*/" screen.txt; do sleep 0.1; done'
    const commands = `${running} ${drawn}; kill -INT $!; wait $!; echo "code $?"`
    const screen = await terminal(commands)
    expect(screen).toContain('stopped; nothing was written')
    expect(screen).toContain('code 130')
    expect(screen).toMatch(/✖.* calibrate/)
    expect(screen.lastIndexOf(shown)).toBeGreaterThan(screen.lastIndexOf(hidden))
    expect(existsSync(work.at('out.onnx'))).toBe(false)
  })
})
