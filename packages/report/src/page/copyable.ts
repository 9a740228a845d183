import { el } from './element.ts'

/** Text with a button that copies it. */
export function copyable(text: string, what: string): HTMLElement {
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': `copy ${what}` }, 'Copy')
  button.addEventListener('click', async () => {
    button.textContent = (await copy(text)) ? 'Copied' : 'Select and copy'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, 2000)
  })
  return el('div', { class: 'copyable' }, el('pre', { tabindex: 0 }, el('code', {}, text)), button)
}

/** Browsers that keep the clipboard from files still copy a selection. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = el('textarea', { class: 'offscreen' })
    area.value = text
    document.body.append(area)
    area.select()
    const copied = document.execCommand('copy')
    area.remove()
    return copied
  }
}
