import { existsSync, writeFileSync } from 'node:fs'

// if apiKeys
const file = process.env['API_KEYS_FILE'] || 'keys.json'

// Development and tests may begin without a key. In production a missing file stops the start.
const made = ['development', 'test'].includes(process.env['NODE_ENV'] ?? '') && !existsSync(file)
if (made) writeFileSync(file, '{ "keys": [] }\n', { mode: 0o600 })

/** The file is read again when it changes; `{{run}} key` adds a key. */
export const apiKeys = { prefix: '{{keyPrefix}}', file }
