import { el } from './element.ts'

const THEMES = ['auto', 'light', 'dark'] as const
type Theme = (typeof THEMES)[number]

const KEY = 'fewbit-theme'

/** A button that goes through the system's theme, light and dark. Browsers may refuse files a store; then it is not remembered. */
export function themeButton(): HTMLElement {
  let theme = stored()
  const button = el('button', { type: 'button', class: 'theme' })
  const apply = (): void => {
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    button.textContent = `Theme: ${theme}`
  }
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] as Theme
    apply()
    store(theme)
  })
  apply()
  return button
}

function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto'
  } catch {
    return 'auto'
  }
}

function store(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {}
}
