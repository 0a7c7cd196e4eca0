/**
 * The frame of a picture: a ground of its own, since the page around it need not have the colours of the reader's system. npm is
 * always white, and a dark GitHub may stand in a light system.
 */
export function svg (width: number, height: number, label: string, more: { light?: string, dark?: string }, body: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"
  font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="13" role="img" aria-label="${label}">
<style>
  text { fill: #1f2328 } .dim { fill: #59636e } .ground { fill: #ffffff; stroke: #d1d9e0 } ${more.light ?? ''}
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .dim { fill: #9198a1 } .ground { fill: #0d1117; stroke: #3d444d } ${more.dark ?? ''}
  }
</style>
<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${body}
</svg>
`
}
