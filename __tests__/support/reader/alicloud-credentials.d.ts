// Alibaba Cloud's own package, which a reader installs: what is used of it, as its release 2.4.7 declares it.
declare module '@alicloud/credentials' {
  export default class Credential {
    constructor()
    getCredential(): Promise<{ accessKeyId?: string; accessKeySecret?: string; securityToken?: string }>
  }
}
