const health = async app => {
  app.get('/', { config: { public: true } }, async () => ({ ok: true }))
}

export default health
