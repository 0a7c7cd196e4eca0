export { answers, type Answer, type AnswerCode, type TokenFailureCode } from './answers.ts'
export { addPairToHead, addToHead, headPart, headPlanOf, isHeadSent, kBlock, planHead, writable, type HeaderPair, type HeadPart, type HeadPlan } from './head.ts'
export { bearerChallenge, refusal, type Refusal, type RefusalParts } from './refusal.ts'
export { addVary } from './vary.ts'
