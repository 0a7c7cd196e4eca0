import { register } from 'node:module'

// `node --import` this file to run TypeScript. Node 22 and later strip the types themselves.
if (Number(process.versions.node.split('.')[0]) < 22) register('./test-loader/hooks.mjs', import.meta.url)

// .taprc names this file relative to the project; a child that inherits the argument may start in another folder.
process.execArgv = process.execArgv.map(argument => argument === '--import=./scripts/test-loader.mjs'
  ? `--import=${import.meta.url}`
  : argument)
