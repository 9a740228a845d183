/** The bundle of src/page, which the build makes: text of a script that runs models for a program. */
export const SCRIPT: string
