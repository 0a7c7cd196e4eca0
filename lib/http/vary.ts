/** Adds field names to a Vary value, each once; `*` covers all (RFC 9110 §12.5.5). */
export function addVary (present: string, added: string): string {
  const names = present.split(',').map(name => name.trim()).filter(name => name !== '')
  if (names.includes('*')) return '*'
  const known = new Set(names.map(name => name.toLowerCase()))
  return [...names, ...added.split(', ').filter(name => !known.has(name.toLowerCase()))].join(', ')
}
