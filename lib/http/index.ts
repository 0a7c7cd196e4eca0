export { addressOf, kBehind, withoutPort } from './address.ts'
export { answers, type Answer, type AnswerCode, type TokenFailureCode } from './answers.ts'
export { errorAnswer } from './application-error.ts'
export {
  addPairToHead, addToHead, expectRefusal, headLines, headPart, headSetOf, isHeadSent, setHead, withoutSharing, writable,
  type HeaderPair, type HeadPart, type HeadSet
} from './head.ts'
export { writeBlocks } from './head-block.ts'
export { hasEnded, hasLeft, wasSent, whenEnded, whenLeft } from './ending.ts'
export { writeOnce } from './final-write.ts'
export { noteFunctionFailed } from './function-failed.ts'
export { jsonShape } from './json-shape.ts'
export { apiKeyChallenge, bearerChallenge, ownRefusal, refusal, withHeaders, type OwnRefusal, type Refusal } from './refusal.ts'
export { addVary } from './vary.ts'
