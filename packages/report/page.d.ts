/** The bundle of src/page, which the build makes: text of a script that draws into the document's body, and its style sheet. */
export const SCRIPT: string
export const STYLE: string
