import { register } from 'node:module'

// `node --import` this file to run TypeScript. Node 22 and later strip the types themselves.
if (Number(process.versions.node.split('.')[0]) < 22) register('./test-loader/hooks.mjs', import.meta.url)
