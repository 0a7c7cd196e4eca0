export { withDeadline, type Deadline } from './deadline.ts'
export { scheduleTimer, type Schedule } from './schedule.ts'
export { isThenable } from './thenable.ts'
