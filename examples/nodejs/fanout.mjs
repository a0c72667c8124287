// Everyone who listens to a topic hears what is told to it, at once and best effort: nothing is stored, and who
// comes later hears what comes later.

import { open } from 'primer'

const ann = await open({ cluster: 'fanout', listen: '127.0.0.1:0', name: 'ann' })
const bob = await open({ cluster: 'fanout', seeds: ann.address, name: 'bob' })

// A reader hears what is told from the moment it is made, so they are made before bob tells.
const readers = [ann.on('weather'), bob.on('weather'), bob.on('weather')]

for (const report of [{ sky: 'clear' }, { sky: 'cloudy' }, { sky: 'rain' }]) bob.broadcast('weather', report)

const names = new Map(ann.members().map(({ id, name }) => [id, name]))
for (const topic of readers) {
  const heard = []
  for await (const message of topic) {
    heard.push(`${message.json().sky} (${names.get(message.from)})`)
    if (heard.length === 3) break
  }
  console.log(`a reader at ${topic.primer === ann ? 'ann' : 'bob'} heard ${heard.join(', ')}`)
}

await Promise.all([ann.close(), bob.close()])
