import { prepare } from './lib/prepare.mjs'

const [minutes = '20', dist] = process.argv.slice(2)
if (!(Number(minutes) > 0)) throw new TypeError('usage: node bench/soak.mjs [minutes] [folder of another build]')
prepare(dist)
const { soak } = await import('./lib/soak.mjs')
process.exitCode = await soak(Number(minutes), text => console.log(text))
