import { createRequire } from 'node:module'
import { isTypeScript, stripped } from './stripped.mjs'

/**
 * Node 20 runs every loader hook in a thread of its own, and each module of each package then crosses to it and back. Under
 * `--expose-internals` Node's own loader takes TypeScript without a hook: half the processor time of a short test file.
 */
const require = createRequire(import.meta.url)
const { extensionFormatMap } = require('internal/modules/esm/formats')
const { translators } = require('internal/modules/esm/translators')
const translate = translators.get('module')

extensionFormatMap['.ts'] = 'module'
translators.set('module', function (url, source, ...rest) {
  return translate.call(this, url, isTypeScript(url) ? stripped(url, String(source)) : source, ...rest)
})
