import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds this program, compiled or not. This file is in `cli`, and the bundle's chunk with it in `chunks`, beside it. */
const home = new URL('..', import.meta.url)

/** The folders of this program's own code. */
export const ownFolders = ['chunks', 'cli', 'lib', 'plugins', 'testing'].map(folder => fileURLToPath(new URL(folder, home)))

/** What `secure-api routes` forks. */
export const probeFile = fileURLToPath(new URL(`cli/routes/probe${extname(import.meta.url)}`, home))
