export * from './lib.js'
import * as primer from './lib.js'
export default primer
