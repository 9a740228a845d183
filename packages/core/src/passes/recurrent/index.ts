export { expandRecurrent } from './expand-recurrent.ts'
