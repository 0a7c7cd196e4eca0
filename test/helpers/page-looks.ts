import type { BrowserContextOptions } from 'playwright-core'

/** Windows that a page is looked at in. */
export const desktop = { width: 1120, height: 760 }
export const phone = { width: 360, height: 740 }
export const looks: ReadonlyArray<readonly [name: string, options: BrowserContextOptions]> = [
  ['desktop', { viewport: desktop, colorScheme: 'light' }],
  ['desktop-dark', { viewport: desktop, colorScheme: 'dark' }],
  ['phone', { viewport: phone, colorScheme: 'light', deviceScaleFactor: 2, hasTouch: true, isMobile: true }],
  ['phone-dark', { viewport: phone, colorScheme: 'dark', deviceScaleFactor: 2, hasTouch: true, isMobile: true }]
]

/** In the page: texts whose contrast with what is behind them is below 4.5 (WCAG 2.2 §1.4.3), or 3 when large. */
export const lowContrast = `(() => {
  const parse = color => color.match(/[\\d.]+/g).map(Number)
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255)
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor)
      if (a === 1) return [r, g, b]
      if (a > 0) throw new Error('a translucent background')
    }
    throw new Error('no background')
  }
  const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim() !== '')
  const texts = [...document.querySelectorAll('body *')].filter(element => element.checkVisibility() && hasText(element))
  if (texts.length < 100) throw new Error('only ' + texts.length + ' texts were looked at')
  return texts.flatMap(element => {
    const { color, fontSize } = getComputedStyle(element)
    const [a, b] = [light(parse(color)), light(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio >= (parseFloat(fontSize) >= 24 ? 3 : 4.5)) return []
    return [element.className + ' ' + element.textContent.slice(0, 30) + ' ' + ratio.toFixed(2)]
  })
})()`
