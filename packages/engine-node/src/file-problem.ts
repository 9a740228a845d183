import { FewbitError, problem } from '@fewbit/core/util'

const REASONS: Readonly<Record<string, { code: string; reason: string; fix?: string }>> = {
  ENOENT: { code: 'FILE_MISSING', reason: 'there is no such file or folder', fix: 'check the path' },
  EACCES: { code: 'FILE_DENIED', reason: 'permission is denied', fix: 'change its permissions or choose another path' },
  EPERM: { code: 'FILE_DENIED', reason: 'permission is denied', fix: 'change its permissions or choose another path' },
  EROFS: { code: 'FILE_DENIED', reason: 'the disk is read-only', fix: 'choose another folder' },
  ENOSPC: { code: 'FILE_DISK_FULL', reason: 'the disk is full', fix: 'free space or choose another folder' },
  EDQUOT: { code: 'FILE_DISK_FULL', reason: 'the disk quota is used up', fix: 'free space or choose another folder' },
  EFBIG: { code: 'FILE_DISK_FULL', reason: 'the file system holds no file of this size', fix: 'choose another disk' },
  EISDIR: { code: 'FILE_KIND', reason: 'this is a folder', fix: 'name a file' },
  ENOTDIR: { code: 'FILE_MISSING', reason: 'a part of the path is not a folder', fix: 'check the path' },
  ELOOP: { code: 'FILE_KIND', reason: 'its links lead in a circle' },
}

/** An error of the operating system as a diagnostic; other errors are returned as they are. */
export function fileProblem(error: unknown, path: string, verb: 'read' | 'write'): unknown {
  if (error instanceof FewbitError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  if (typeof code !== 'string') return error
  const known = REASONS[code] ?? { code: 'FILE_ERROR', reason: `the system says ${code}` }
  const detail = { at: { file: path }, ...(known.fix !== undefined && { fix: known.fix }) }
  return problem(known.code, `cannot ${verb} the file: ${known.reason}`, detail, error)
}

/** Names the file where a diagnostic names only a node or value, because a command may read several; other errors are returned as they are. */
export function inFile(error: unknown, file: string): unknown {
  if (!(error instanceof FewbitError)) return error
  const diagnostics = error.diagnostics.map((d) => ({ ...d, at: { file, ...d.at } }))
  return new FewbitError(diagnostics, { cause: error })
}
