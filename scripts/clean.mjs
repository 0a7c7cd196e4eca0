import { rm } from 'node:fs/promises'

/** Removes the build folders named on the command line, so that no file of an earlier build lives on. */
for (const folder of process.argv.slice(2)) await rm(new URL(`../${folder}`, import.meta.url), { recursive: true, force: true })
