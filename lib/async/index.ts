export { withDeadline, type Deadline } from './deadline.ts'
